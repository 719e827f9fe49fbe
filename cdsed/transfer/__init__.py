"""S3: listing, fetching, verifying and publishing one product; the only boto3 in cdsed.

A session is one bare HTTP connection (`connection`). botocore signs its requests and boto3 builds and reads
listings, but both use that same connection: no pool ever opens another one (`listing`).
"""
