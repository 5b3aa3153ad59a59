"""``info``: strategies, modes, chunk orders and deletes; ``completion``: the shell's part of it."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ..engine.guide import policies, topics
from ..version import __version__
from .session import Session

SHELLS = ("bash", "zsh", "fish")


@click.command("info", epilog="\b\nExample:  s3rs-ray info")
@click.pass_obj
def command(session: Session) -> None:
    """Explain strategies, modes, chunk orders, deletes.

    What each does, and what to take it for.
    """
    output = session.output
    if output.json:
        output.document(
            {
                "version": __version__,
                **{
                    topic.name.replace(" ", "_"): [
                        {"name": c.name, "what": c.what, "when": c.when} for c in topic.choices
                    ]
                    for topic in topics()
                },
                "policies": {name: {"what": what, "values": values} for name, (what, values) in policies().items()},
            }
        )
        return
    for topic in topics():
        rows = [(c.name, c.what, c.when) for c in topic.choices]
        output.table(f"{topic.question}  {topic.given}", (topic.name, "what it does", "take it for"), rows)
    output.table(
        "Values Redshift has no form for, and rows no cursor sees",
        ("setting", "decides", "values"),
        [(name, what, ", ".join(values)) for name, (what, values) in policies().items()],
    )


@click.command(
    "completion", epilog="\b\nExample:  s3rs-ray completion bash > ~/.local/share/bash-completion/completions/s3rs-ray"
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: into ~/.local/share/bash-completion/completions/s3rs-ray
    zsh:  into a file named _s3rs-ray in a folder of $fpath
    fish: into ~/.config/fish/completions/s3rs-ray.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root()
    click.echo(kind(root.command, {}, "s3rs-ray", "_S3RS_RAY_COMPLETE").source())
