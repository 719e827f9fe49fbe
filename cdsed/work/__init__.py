"""The steps of a product's download, and the one place that decides what follows from a failure.

``context``  what the threads of a download process share
``session``  a leased session: it plans products and fetches pieces until no work is left
``plan``     a claimed product is looked for on disk, listed and cut into pieces
``destination``  where a product is put together and where it appears
``finish``   a product whose last piece has arrived is verified and published
``resolve``  finds the path of a product in the object store
``intake``   a dropped listing becomes products
``outcome``  decides what follows from a failure
"""
