"""Whether llama-servers give the same tokens with the same probabilities, bit for bit: same_tokens.py PROMPTS LENGTH TOKENS NAME=URL...

Each is asked the same prompts of random tokens, one at a time and without a cache, so that nothing but the libraries can tell the answers apart. Prints JSON:
asked, equal (prompts that all of them answered alike), and of the first that differs what each said.

Runs on the host, with Python's standard library alone.
"""
import json
import random
import sys
import urllib.request

VOCABULARY = 900  # prompts are of the first so many tokens; the smallest model has 1024


def answer(url, number, length, tokens):
    """{"tokens": IDs of all tokens of an answer, "logprobs": [ID, logarithm of its probability] of those that the server told, as it wrote them}.

    llama-server tells no probability of a token that ends in the middle of a character (UTF-8), and random words have many of them: of 32 tokens 17 were seen.
    """
    chance = random.Random("prompt %d" % number)
    body = {"prompt": [chance.randrange(VOCABULARY) for _token in range(length)], "n_predict": tokens, "ignore_eos": True, "cache_prompt": False,
            "temperature": 0, "n_probs": 1, "return_tokens": True}
    request = urllib.request.Request(url + "/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as stream:
        # Numbers stay the text that they are: what is compared is all their digits.
        said = json.load(stream, parse_float=str)
    rows = [[one["id"], one["logprob"]] for one in said["completion_probabilities"]]
    if len(said["tokens"]) != tokens or not rows:
        raise SystemExit("%s told %d tokens of %d, and %d probabilities" % (url, len(said["tokens"]), tokens, len(rows)))
    return {"tokens": said["tokens"], "logprobs": rows}


def compared(answers):
    """What is said of answers: list of {name: what :func:`answer` gave}, one for each prompt; "logprobs" says how many were compared."""
    differ = [one for one in answers if len({json.dumps(said) for said in one.values()}) > 1]
    told = {"asked": len(answers), "equal": len(answers) - len(differ), "logprobs": sum(len(next(iter(one.values()))["logprobs"]) for one in answers)}
    return dict(told, **({"first_that_differs": differ[0]} if differ else {}))


def main():
    prompts, length, tokens = map(int, sys.argv[1:4])
    servers = dict(word.split("=", 1) for word in sys.argv[4:])
    print(json.dumps(compared([{name: answer(url, number, length, tokens) for name, url in servers.items()} for number in range(prompts)])))


if __name__ == "__main__":
    main()
