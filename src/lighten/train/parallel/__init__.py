"""How several processes train one model: a strategy per file, one loop for all of them."""
