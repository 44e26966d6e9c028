"""`python -m admin <command>`."""

from admin.cli import main

main()
