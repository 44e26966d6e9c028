"""What a pull request's reviewer reads before an update: `pulumi preview` as Markdown.

From pure to effectful: `paths`, `secrecy`, `model`, `impact`, `text`, `page` have no I/O; `engine` runs the Pulumi
CLI; `command` is the command line.
"""
