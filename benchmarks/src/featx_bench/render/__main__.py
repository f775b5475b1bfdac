"""``python -m featx_bench.render``: the same as ``featx bench render``."""

from featx_bench.render.command import command

if __name__ == "__main__":
    command(prog_name="python -m featx_bench.render")
