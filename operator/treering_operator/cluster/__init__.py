"""The way to the API server and to pods: requests, watches, caches, election. Nobody else imports kubernetes."""
