"""One module per version of the tables, each saying which one it follows. What was released once is never changed."""
