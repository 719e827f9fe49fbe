"""Connections on other machines: *holders* there have them, and the *head* decides, see decision 27.

A *pilot* on each worker of Dask starts holders and passes messages on. A *seat* is what the head knows of one holder.
"""
