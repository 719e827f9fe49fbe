"""One product's next step, and the one place that turns a failure into a decision.

``context``  what the threads of a download process share
``session``  a leased session: it plans products and fetches pieces until there is nothing left to do
``plan``     a product is claimed, looked for on disk, listed and cut into pieces
``destination``  where it is put together and will appear
``finish``   its last piece has arrived: verify, publish
``resolve``  where does it are in the object store
``intake``   a dropped listing becomes products
``outcome``  what follows from a failure
"""
