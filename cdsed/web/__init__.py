"""The web page with its JSON API and metrics: `server` runs it, `app` has the routes, `static/` the page."""
