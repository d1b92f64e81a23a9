"""What a program of llama.cpp prints for --help, as a list of its options.

    docker run --rm --entrypoint llama-server IMAGE --help | python tests/support/llama_options.py > tests/fixtures/llama_cpp/llama-server.txt
"""
import re
import sys

SPELLINGS = re.compile(r"^-[^\s,]+(?:,\s+-[^\s,]+)*")


def options(text):
    """Options of a help text: sorted list of str, each with all spellings of one option in the order of the text, parted by blanks."""
    found = (SPELLINGS.match(line) for line in text.splitlines())
    # The one line that begins so and is no option heads a group of them.
    return sorted({" ".join(re.split(r",\s+", match.group())) for match in found if match and not match.group().startswith("---")})


if __name__ == "__main__":
    print("\n".join(options(sys.stdin.read())))
