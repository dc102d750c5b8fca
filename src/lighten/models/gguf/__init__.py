"""GGUF files, the format of llama.cpp: reads one into an ordinary transformers folder, with numpy alone."""
