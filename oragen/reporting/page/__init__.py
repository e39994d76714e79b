"""Tables and figures -> one HTML file that needs nothing else: no script, no network."""
