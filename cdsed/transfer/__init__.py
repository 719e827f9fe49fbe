"""S3: listing, fetching, verifying and publishing one product; the only boto3 in cdsed.

A session is one bare HTTP connection (`connection`). botocore signs its requests. boto3 builds and reads lists of
objects (`s3_list`). Both use that same connection: no pool opens another one.
"""
