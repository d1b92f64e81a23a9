"""Asks the door through clients that people use, one cell of the table client x feature after the other. Runs in an environment of requirements/clients.txt.

    SSL_CERT_FILE=… python tests/clients/ask.py URL KEY COMMAND > CELLS.json

:param URL: the gateway's, without /v1. Its model "oracle" chats and holds 4096 tokens, "embedder" makes vectors, "executor" calls functions and then
    says that it is sunny.
:param KEY: a key of the gateway.
:param COMMAND: a shell command that kills the Oracle, which starts again by itself.

Prints {client: {"version": text, "cells": {feature: {"holds": bool, "said": text}}}}; where a client has no such thing, "reason" stands in the cell's place.
The models have random weights: what they say means nothing, and a grammar makes their JSON well-formed. "executor" is tests/support/tiny_models.py's caller.
"""
import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
import time
import typing

import pydantic

URL, KEY, BREAK = sys.argv[1:4]
os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", OPENAI_AGENTS_DISABLE_TRACING="1")
QUESTION = "Which city is it?"
LONG = "word " * 6000
ENDLESS = {"ignore_eos": True}
"""Of a request whose answer shall not end before its service does."""


class City(pydantic.BaseModel):
    """What is asked for as JSON."""
    name: typing.Literal["Paris", "Rome"]


WEATHER = "Tells how the weather is."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": name, "description": WEATHER, "parameters": PARAMETERS, "strict": True}} for name in ("tide", "weather")]
NAMED = {"type": "function", "function": {"name": "weather"}}
SUNNY = "It is sunny there"
MESSAGES = [{"role": "user", "content": QUESTION}]


class Missing(Exception):
    """The client has no such thing; says why."""


def kill():
    subprocess.run(BREAK, shell=True, check=True, capture_output=True)


def raised(ask, *words):
    """What it raises, which must hold these words: a client that ends quietly has hidden the fault."""
    try:
        found = ask()
    except Missing:
        raise
    except Exception as error:
        text = "%s: %s" % (type(error).__name__, error)
        assert all(word in text for word in words), text
        return text
    raise AssertionError("it raised nothing and returned %r" % (found,))


def broken(events):
    """Reads a stream whose service is killed at its third event."""
    def read():
        for number, _event in enumerate(events):
            if number == 2:
                kill()
        return "%d events" % number
    return raised(read, "oracle stopped in the middle of its answer")


def streamed(parts):
    parts = [part for part in parts if part]
    assert len(parts) > 2, parts
    return "%d pieces" % len(parts)


def used(read, written):
    assert read > 3 and written == 8, (read, written)
    return "%d read, %d written" % (read, written)


def city(value):
    assert City.model_validate(value).name, value
    return str(value)


def vectors(found):
    assert len(found) == 2 and len(found[0]) == len(found[1]) == 64 and found[0] != found[1], [len(one) for one in found]
    return "2 of 64"


def called(name, arguments, answer):
    """What a client made of a call of a function, and what the model said when it had the function's result.

    Of two functions that are offered this one was asked for by name.
    """
    assert name == "weather" and arguments["city"] in ("Paris", "Rome") and set(arguments) == {"city"}, (name, arguments)
    assert answer == SUNNY, answer
    return "%s(%s), then %r" % (name, arguments["city"], answer)


def counted(tokens):
    assert tokens > 5, tokens
    return "%d tokens" % tokens


class Openai:
    """The chat API; counting by the Responses API."""
    package = "openai"

    def __init__(self):
        import openai
        self.client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60)
        self.ask = self.client.chat.completions.create

    def stream(self):
        return streamed(event.choices[0].delta.content for event in self.ask(model="oracle", messages=MESSAGES, stream=True, max_tokens=8) if event.choices)

    def usage(self):
        *_events, last = self.ask(model="oracle", messages=MESSAGES, stream=True, max_tokens=8, stream_options={"include_usage": True}, extra_body=ENDLESS)
        return used(last.usage.prompt_tokens, last.usage.completion_tokens)

    def tools(self):
        with self.client.chat.completions.stream(model="executor", messages=MESSAGES, tools=TOOLS, tool_choice=NAMED, max_tokens=200) as stream:
            message = stream.get_final_completion().choices[0].message
        (call,) = message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        answer = self.ask(model="executor", messages=[*MESSAGES, message.to_dict(), result], tools=TOOLS, max_tokens=50)
        return called(call.function.name, json.loads(call.function.arguments), answer.choices[0].message.content)

    def schema(self):
        answer = self.client.chat.completions.parse(model="oracle", messages=MESSAGES, response_format=City, max_tokens=100)
        return city(answer.choices[0].message.parsed.model_dump())

    def counting(self):
        return counted(self.client.responses.input_tokens.count(model="oracle", input=QUESTION).input_tokens)

    def embeddings(self):
        return vectors([one.embedding for one in self.client.embeddings.create(model="embedder", input=["a b", "c"]).data])

    def overflow(self):
        return raised(lambda: self.ask(model="oracle", messages=[{"role": "user", "content": LONG}]), "BadRequestError", "exceeds the available context size")

    def broken(self):
        return broken(self.ask(model="oracle", messages=MESSAGES, stream=True, max_tokens=3000, extra_body=ENDLESS))


class OpenaiResponses:
    """The Responses API of the same client."""
    package = "openai"

    def __init__(self):
        import openai
        self.client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60)
        self.ask = self.client.responses.create

    def stream(self):
        events = self.ask(model="oracle", input=QUESTION, stream=True, max_output_tokens=8)
        return streamed(event.delta for event in events if event.type == "response.output_text.delta")

    def usage(self):
        *_events, last = self.ask(model="oracle", input=QUESTION, stream=True, max_output_tokens=8, extra_body=ENDLESS)
        return used(last.response.usage.input_tokens, last.response.usage.output_tokens)

    def tools(self):
        tools = [{"type": "function", **tool["function"]} for tool in TOOLS]
        question = [{"role": "user", "content": QUESTION}]
        choice = {"type": "function", "name": "weather"}
        *_events, last = self.ask(model="executor", input=question, tools=tools, tool_choice=choice, stream=True, max_output_tokens=200)
        (call,) = [item for item in last.response.output if item.type == "function_call"]
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        answer = self.ask(model="executor", input=[*question, call.to_dict(), result], tools=tools, max_output_tokens=50)
        return called(call.name, json.loads(call.arguments), answer.output_text)

    def schema(self):
        return city(self.client.responses.parse(model="oracle", input=QUESTION, text_format=City, max_output_tokens=100).output_parsed.model_dump())

    def counting(self):
        return counted(self.client.responses.input_tokens.count(model="oracle", input=QUESTION).input_tokens)

    def embeddings(self):
        raise Missing("not of this API; see openai")

    def overflow(self):
        return raised(lambda: self.ask(model="oracle", input=LONG), "BadRequestError", "exceeds the available context size")

    def broken(self):
        return broken(self.ask(model="oracle", input=QUESTION, stream=True, max_output_tokens=3000, extra_body=ENDLESS))


class Anthropic:
    """The Messages API."""
    package = "anthropic"

    def __init__(self):
        import anthropic
        self.client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=60)
        self.ask = self.client.messages.create

    def stream(self):
        with self.client.messages.stream(model="oracle", messages=MESSAGES, max_tokens=8) as stream:
            return streamed(list(stream.text_stream))

    def usage(self):
        with self.client.messages.stream(model="oracle", messages=MESSAGES, max_tokens=8, extra_body=ENDLESS) as stream:
            known = stream.get_final_message().usage
        return used(known.input_tokens + (known.cache_read_input_tokens or 0), known.output_tokens)

    def tools(self):
        tools = [{"name": tool["function"]["name"], "description": WEATHER, "input_schema": PARAMETERS} for tool in TOOLS]
        choice = {"type": "tool", "name": "weather"}
        with self.client.messages.stream(model="executor", messages=MESSAGES, tools=tools, tool_choice=choice, max_tokens=200) as stream:
            message = stream.get_final_message()
        (call,) = [block for block in message.content if block.type == "tool_use"]
        assert message.stop_reason == "tool_use", message.stop_reason
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}
        talk = [*MESSAGES, {"role": "assistant", "content": [call.to_dict()]}, result]
        answer = self.ask(model="executor", messages=talk, tools=tools, max_tokens=50)
        return called(call.name, call.input, answer.content[0].text)

    def schema(self):
        raise Missing("llama-server takes no schema by the Messages API: it answers with free text")

    def counting(self):
        return counted(self.client.messages.count_tokens(model="oracle", messages=MESSAGES).input_tokens)

    def embeddings(self):
        raise Missing("Anthropic's API has none")

    def overflow(self):
        return raised(lambda: self.ask(model="oracle", messages=[{"role": "user", "content": LONG}], max_tokens=8), "BadRequestError", "prompt is too long")

    def broken(self):
        return broken(self.ask(model="oracle", messages=MESSAGES, stream=True, max_tokens=3000, extra_body=ENDLESS))


class Langchain:
    """ChatOpenAI and OpenAIEmbeddings."""
    package = "langchain-openai"

    def chat(self, **more):
        from langchain_openai import ChatOpenAI
        return ChatOpenAI(model="oracle", base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60, **more)

    def stream(self):
        return streamed(part.text if isinstance(part.text, str) else part.text() for part in self.chat(max_tokens=8).stream(QUESTION))

    def usage(self):
        whole = None
        for part in self.chat(max_tokens=8, stream_usage=True, extra_body=ENDLESS).stream(QUESTION):
            whole = part if whole is None else whole + part
        return used(whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"])

    def tools(self):
        from langchain_core.messages import HumanMessage, ToolMessage
        chat, question = self.chat(max_tokens=200), HumanMessage(QUESTION)
        message = chat.bind_tools(TOOLS, tool_choice="weather").invoke([question])
        (call,) = message.tool_calls
        answer = chat.bind_tools(TOOLS).invoke([question, message, ToolMessage("sunny", tool_call_id=call["id"])])
        return called(call["name"], call["args"], answer.content)

    def schema(self):
        return city(self.chat(max_tokens=100).with_structured_output(City, method="json_schema").invoke(QUESTION).model_dump())

    def counting(self):
        raise Missing("counts by itself (tiktoken, for OpenAI's models) and asks no server")

    def embeddings(self):
        from langchain_openai import OpenAIEmbeddings
        client = OpenAIEmbeddings(model="embedder", base_url=URL + "/v1", api_key=KEY, check_embedding_ctx_length=False)
        return vectors(client.embed_documents(["a b", "c"]))

    def overflow(self):
        return raised(lambda: self.chat().invoke(LONG), "ContextOverflowError", "exceeds the available context size")

    def broken(self):
        return broken(self.chat(max_tokens=3000, extra_body=ENDLESS).stream(QUESTION))


class Litellm:
    """As an OpenAI-compatible server."""
    package = "litellm"

    def __init__(self):
        import litellm
        self.library, self.how = litellm, {"api_base": URL + "/v1", "api_key": KEY, "num_retries": 0, "timeout": 60}

    def ask(self, messages=None, **more):
        model = "openai/executor" if "tools" in more else "openai/oracle"
        return self.library.completion(model=model, messages=messages or MESSAGES, **self.how, **more)

    def stream(self):
        return streamed(event.choices[0].delta.content for event in self.ask(stream=True, max_tokens=8))

    def usage(self):
        *_events, last = self.ask(stream=True, max_tokens=8, stream_options={"include_usage": True}, extra_body=ENDLESS)
        return used(last.usage.prompt_tokens, last.usage.completion_tokens)

    def tools(self):
        events = list(self.ask(tools=TOOLS, tool_choice=NAMED, stream=True, max_tokens=200))
        message = self.library.stream_chunk_builder(events).choices[0].message
        (call,) = message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        answer = self.ask([*MESSAGES, message.model_dump(exclude_none=True), result], tools=TOOLS, max_tokens=50)
        return called(call.function.name, json.loads(call.function.arguments), answer.choices[0].message.content)

    def schema(self):
        return city(json.loads(self.ask(response_format=City, max_tokens=100).choices[0].message.content))

    def counting(self):
        raise Missing("token_counter counts by itself and asks no OpenAI-compatible server")

    def embeddings(self):
        found = self.library.embedding(model="openai/embedder", input=["a b", "c"], encoding_format="float", **self.how)
        return vectors([one["embedding"] for one in found.data])

    def overflow(self):
        return raised(lambda: self.ask([{"role": "user", "content": LONG}]), "ContextWindowExceededError")

    def broken(self):
        return broken(self.ask(stream=True, max_tokens=3000, extra_body=ENDLESS))


class PydanticAi:
    """Agents with OpenAIChatModel; counting with AnthropicModel."""
    package = "pydantic-ai-slim"

    def __init__(self):
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider
        self.provider = OpenAIProvider(base_url=URL + "/v1", api_key=KEY)
        self.model = OpenAIChatModel("oracle", provider=self.provider)

    def agent(self, settings=None, **more):
        import pydantic_ai
        return pydantic_ai.Agent(self.model, model_settings=settings or {"max_tokens": 8}, retries=0, **more)

    def pieces(self, agent):
        with agent.run_stream_sync(QUESTION) as result:
            yield from result.stream_text(delta=True, debounce_by=None)

    def stream(self):
        return streamed(self.pieces(self.agent()))

    def usage(self):
        known = self.agent({"max_tokens": 8, "extra_body": ENDLESS}).run_sync(QUESTION).usage
        return used(known.input_tokens, known.output_tokens)

    def tools(self):
        import pydantic_ai
        from pydantic_ai.models.openai import OpenAIChatModel
        seen = []

        def weather(city: typing.Literal["Paris", "Rome"]) -> str:
            """Tells how the weather is."""
            seen.append(city)
            return "sunny"
        agent = pydantic_ai.Agent(OpenAIChatModel("executor", provider=self.provider), model_settings={"max_tokens": 200}, retries=0, tools=[weather])
        answer = agent.run_sync(QUESTION).output
        (city_,) = seen
        return called("weather", {"city": city_}, answer)

    def schema(self):
        from pydantic_ai import NativeOutput
        return city(self.agent({"max_tokens": 100}, output_type=NativeOutput(City)).run_sync(QUESTION).output.model_dump())

    def counting(self):
        import asyncio

        import pydantic_ai
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider
        model = AnthropicModel("oracle", provider=AnthropicProvider(base_url=URL, api_key=KEY))
        return counted(asyncio.run(model.count_tokens([pydantic_ai.ModelRequest.user_text_prompt(QUESTION)], None, ModelRequestParameters())).input_tokens)

    def embeddings(self):
        from pydantic_ai import Embedder
        from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
        return vectors(Embedder(OpenAIEmbeddingModel("embedder", provider=self.provider)).embed_documents_sync(["a b", "c"]).embeddings)

    def overflow(self):
        return raised(lambda: self.agent().run_sync(LONG), "400", "exceeds the available context size")

    def broken(self):
        return broken(self.pieces(self.agent({"max_tokens": 3000, "extra_body": ENDLESS})))


class OpenaiAgents:
    """Agents with the Responses API, their default."""
    package = "openai-agents"

    def __init__(self):
        import agents
        import openai
        self.library = agents
        self.model = agents.OpenAIResponsesModel("oracle", openai.AsyncOpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60))

    def agent(self, max_tokens=8, extra_body=None, **more):
        settings = self.library.ModelSettings(max_tokens=max_tokens, extra_body=extra_body)
        return self.library.Agent(name="a", model=self.model, model_settings=settings, **more)

    def pieces(self, agent, each=lambda number: None):
        import asyncio

        async def read():
            found = []
            async for event in self.library.Runner.run_streamed(agent, QUESTION).stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    each(len(found))
                    found.append(event.data.delta)
            return found
        return asyncio.run(read())

    def stream(self):
        return streamed(self.pieces(self.agent()))

    def usage(self):
        known = self.library.Runner.run_sync(self.agent(extra_body=ENDLESS), QUESTION).context_wrapper.usage
        return used(known.input_tokens, known.output_tokens)

    def tools(self):
        import openai
        seen = []

        @self.library.function_tool
        def weather(city: typing.Literal["Paris", "Rome"]) -> str:
            """Tells how the weather is."""
            seen.append(city)
            return "sunny"
        model = self.library.OpenAIResponsesModel("executor", openai.AsyncOpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60))
        agent = self.library.Agent(name="a", model=model, tools=[weather], model_settings=self.library.ModelSettings(max_tokens=200, tool_choice="weather"))
        answer = self.library.Runner.run_sync(agent, QUESTION).final_output
        (city_,) = seen
        return called("weather", {"city": city_}, answer)

    def schema(self):
        return city(self.library.Runner.run_sync(self.agent(100, output_type=City), QUESTION).final_output.model_dump())

    def counting(self):
        raise Missing("it has none")

    def embeddings(self):
        raise Missing("it has none")

    def overflow(self):
        return raised(lambda: self.library.Runner.run_sync(self.agent(), LONG), "BadRequestError", "exceeds the available context size")

    def broken(self):
        agent = self.agent(3000, ENDLESS)
        return raised(lambda: self.pieces(agent, lambda number: kill() if number == 2 else None), "oracle stopped in the middle of its answer")


CLIENTS = {"openai": Openai, "openai, Responses API": OpenaiResponses, "anthropic": Anthropic, "langchain-openai": Langchain, "litellm": Litellm,
           "pydantic-ai": PydanticAi, "openai-agents": OpenaiAgents}
FEATURES = ("stream", "usage", "tools", "schema", "counting", "embeddings", "overflow", "broken")


def ready():
    """Waits until the Oracle answers, which may just have been killed."""
    import urllib.request
    request = urllib.request.Request(URL + "/v1/chat/completions", headers={"Authorization": "Bearer " + KEY, "Content-Type": "application/json"},
                                     data=json.dumps({"model": "oracle", "messages": MESSAGES, "max_tokens": 1}).encode())
    for _attempt in range(300):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the Oracle does not come back")


def cell(client, feature):
    ready()
    try:
        return {"holds": True, "said": getattr(client(), feature)()[:300]}
    except Missing as reason:
        return {"reason": str(reason)}
    except Exception as error:
        return {"holds": False, "said": ("%s: %s" % (type(error).__name__, error))[:600]}


def main():
    found = {}
    with contextlib.redirect_stdout(sys.stderr):  # one of them prints
        for name in sys.argv[4:] or CLIENTS:
            client = CLIENTS[name]
            found[name] = {"version": importlib.metadata.version(client.package), "cells": {feature: cell(client, feature) for feature in FEATURES}}
    print(json.dumps(found, indent=1))


main()
