"""``python -m lighten`` is the command ``lighten``."""

from lighten.cli import main

if __name__ == "__main__":
    main()
