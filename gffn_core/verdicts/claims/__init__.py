"""What is claimed: the thesis's statements (four modules that the ledger names), and our predictions."""
