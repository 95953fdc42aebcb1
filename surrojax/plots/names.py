"""How figures write a hyper-parameter."""


def symbol(name: str) -> str:
    """Of `lambda_z`: the letter of the paper with its index, as mathematical text."""
    kind, site = name.split("_")
    return rf"$\{kind}_{site}$" if kind == "lambda" else f"${kind}_{site}$"
