"""`python -m pointsman`: the command, where its script is not on the path."""

from pointsman.cli.main import main

if __name__ == "__main__":
    main()
