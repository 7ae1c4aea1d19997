"""The studies behind the documentation, each a command of its own."""
