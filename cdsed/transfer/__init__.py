"""S3: listing, fetching, verifying and publishing one product.

A session is one bare HTTP connection (`connection`), which signs its requests (`request_signature`). Lists of objects
(`s3_list`) and pieces (`fetch`) come over that same connection: no pool opens another one.
"""
