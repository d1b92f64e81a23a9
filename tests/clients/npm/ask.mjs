// What ask.py asks through clients of Python, asked through those of Node.js. Runs beside the node_modules of package-lock.json.
//
//     NODE_EXTRA_CA_CERTS=… node ask.mjs URL KEY COMMAND > CELLS.json
//
// The arguments, the models and what is printed are those of ask.py.
import { execSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [URL_, KEY, BREAK, ...WANTED] = process.argv.slice(2);
const QUESTION = "Which city is it?", LONG = "word ".repeat(6000), SUNNY = "It is sunny there";
const MESSAGES = [{ role: "user", content: QUESTION }];
const City = z.object({ name: z.enum(["Paris", "Rome"]) });
const PARAMETERS = { type: "object", properties: { city: { type: "string", enum: ["Paris", "Rome"] } }, required: ["city"], additionalProperties: false };
const TOOLS = ["tide", "weather"].map((name) => ({ type: "function", function: { name, description: "Tells how it is.", parameters: PARAMETERS, strict: true } }));

class Missing extends Error {}

function check(right, ...what) {
  if (!right) throw new Error("check: " + JSON.stringify(what));
}

// What it raises, which must hold these words: a client that ends quietly has hidden the fault.
async function raised(ask, ...words) {
  let found;
  try {
    found = await ask();
  } catch (error) {
    const text = `${error.name === "Error" ? error.constructor.name : error.name}: ${error.message}`;
    check(words.every((word) => text.includes(word)), text);
    return text;
  }
  throw new Error("it raised nothing and returned " + JSON.stringify(found));
}

// Reads a stream whose service is killed at its third event.
function broken(events) {
  return raised(async () => {
    let number = 0;
    for await (const event of await events()) {
      if (event.type === "error") throw event.error instanceof Error ? event.error : new Error(JSON.stringify(event.error)); // as the AI SDK tells it
      if (number++ === 2) execSync(BREAK, { stdio: "ignore" });
    }
    return `${number} events`;
  }, "oracle stopped in the middle of its answer");
}

async function streamed(parts) {
  const found = [];
  for await (const part of parts) if (part) found.push(part);
  check(found.length > 2, found);
  return `${found.length} pieces`;
}

function used(read, written) {
  check(read > 3 && written === 8, read, written);
  return `${read} read, ${written} written`;
}

function vectors(found) {
  check(found.length === 2 && found.every((one) => one.length === 64) && found[0].join() !== found[1].join(), found.map((one) => one.length));
  return "2 of 64";
}

function counted(tokens) {
  check(tokens > 5, tokens);
  return `${tokens} tokens`;
}

// What a client made of a call of a function, and what the model said when it had the function's result.
function called(name, args, answer) {
  check(name === "weather" && ["Paris", "Rome"].includes(args.city) && Object.keys(args).length === 1, name, args);
  check(answer === SUNNY, answer);
  return `${name}(${args.city}), then '${answer}'`;
}

const openai = new OpenAI({ baseURL: URL_ + "/v1", apiKey: KEY, maxRetries: 0, timeout: 60000 });
const anthropic = new Anthropic({ baseURL: URL_, apiKey: KEY, maxRetries: 0, timeout: 60000 });

async function* texts(stream) {
  for await (const event of stream) yield event.choices[0]?.delta.content;
}

const chat = (more) => openai.chat.completions.create({ model: "oracle", messages: MESSAGES, ...more });
const OPENAI = {
  package: "openai",
  stream: async () => streamed(texts(await chat({ stream: true, max_tokens: 8 }))),
  usage: async () => {
    let last;
    for await (const event of await chat({ stream: true, max_tokens: 8, stream_options: { include_usage: true }, ignore_eos: true })) last = event;
    return used(last.usage.prompt_tokens, last.usage.completion_tokens);
  },
  tools: async () => {
    const choice = { type: "function", function: { name: "weather" } };
    const stream = openai.chat.completions.stream({ model: "executor", messages: MESSAGES, tools: TOOLS, tool_choice: choice, max_tokens: 200 });
    const message = (await stream.finalChatCompletion()).choices[0].message;
    check(message.tool_calls.length === 1, message);
    const [call] = message.tool_calls, result = { role: "tool", tool_call_id: call.id, content: "sunny" };
    const answer = await chat({ model: "executor", messages: [...MESSAGES, message, result], tools: TOOLS, max_tokens: 50 });
    return called(call.function.name, JSON.parse(call.function.arguments), answer.choices[0].message.content);
  },
  schema: async () => {
    const answer = await openai.chat.completions.parse({ model: "oracle", messages: MESSAGES, response_format: zodResponseFormat(City, "city"), max_tokens: 100 });
    return JSON.stringify(City.parse(answer.choices[0].message.parsed));
  },
  counting: async () => counted((await openai.responses.inputTokens.count({ model: "oracle", input: QUESTION })).input_tokens),
  embeddings: async () => vectors((await openai.embeddings.create({ model: "embedder", input: ["a b", "c"] })).data.map((one) => one.embedding)),
  overflow: () => raised(() => chat({ messages: [{ role: "user", content: LONG }] }), "exceeds the available context size"),
  broken: () => broken(() => chat({ stream: true, max_tokens: 3000, ignore_eos: true })),
};

const say = (more) => anthropic.messages.create({ model: "oracle", messages: MESSAGES, max_tokens: 8, ...more });
const ANTHROPIC = {
  package: "@anthropic-ai/sdk",
  stream: async () => {
    const parts = [];
    await anthropic.messages.stream({ model: "oracle", messages: MESSAGES, max_tokens: 8 }).on("text", (text) => parts.push(text)).finalMessage();
    return streamed(parts);
  },
  usage: async () => {
    const { usage } = await anthropic.messages.stream({ model: "oracle", messages: MESSAGES, max_tokens: 8, ignore_eos: true }).finalMessage();
    return used(usage.input_tokens + (usage.cache_read_input_tokens ?? 0), usage.output_tokens);
  },
  tools: async () => {
    const tools = TOOLS.map((one) => ({ name: one.function.name, description: one.function.description, input_schema: PARAMETERS }));
    const asked = { model: "executor", messages: MESSAGES, tools, tool_choice: { type: "tool", name: "weather" }, max_tokens: 200 };
    const message = await anthropic.messages.stream(asked).finalMessage();
    const calls = message.content.filter((block) => block.type === "tool_use");
    check(calls.length === 1 && message.stop_reason === "tool_use", message);
    const result = { role: "user", content: [{ type: "tool_result", tool_use_id: calls[0].id, content: "sunny" }] };
    const answer = await say({ model: "executor", messages: [...MESSAGES, { role: "assistant", content: calls }, result], tools, max_tokens: 50 });
    return called(calls[0].name, calls[0].input, answer.content[0].text);
  },
  schema: () => { throw new Missing("llama-server takes no schema by the Messages API: it answers with free text"); },
  counting: async () => counted((await anthropic.messages.countTokens({ model: "oracle", messages: MESSAGES })).input_tokens),
  embeddings: () => { throw new Missing("Anthropic's API has none"); },
  overflow: () => raised(() => say({ messages: [{ role: "user", content: LONG }] }), "prompt is too long"),
  broken: () => broken(() => say({ stream: true, max_tokens: 3000, ignore_eos: true })),
};

const provider = createOpenAICompatible({ name: "bunker", baseURL: URL_ + "/v1", apiKey: KEY, includeUsage: true, supportsStructuredOutputs: true });
const plain = (more) => ({ model: provider("oracle"), prompt: QUESTION, maxOutputTokens: 8, maxRetries: 0, onError: () => {}, ...more });
const endless = { providerOptions: { bunker: { ignore_eos: true } } };
const AI_SDK = {
  package: "ai",
  stream: () => streamed(streamText(plain()).textStream),
  usage: async () => {
    const { inputTokens, outputTokens } = await streamText(plain(endless)).usage;
    return used(inputTokens, outputTokens);
  },
  tools: async () => {
    const seen = [];
    const weather = tool({
      description: "Tells how it is.", inputSchema: jsonSchema(PARAMETERS), execute: async (args) => { seen.push(args); return "sunny"; },
    });
    const answer = await generateText(plain({ model: provider("executor"), tools: { weather }, stopWhen: stepCountIs(3), maxOutputTokens: 200 }));
    check(seen.length === 1, seen);
    return called("weather", seen[0], answer.text);
  },
  schema: async () => JSON.stringify((await generateObject(plain({ schema: City, maxOutputTokens: 100 }))).object),
  counting: () => { throw new Missing("it has none"); },
  embeddings: async () => vectors((await embedMany({ model: provider.textEmbeddingModel("embedder"), values: ["a b", "c"], maxRetries: 0 })).embeddings),
  overflow: () => raised(() => generateText(plain({ prompt: LONG })), "exceeds the available context size"),
  broken: () => broken(async () => streamText(plain({ ...endless, maxOutputTokens: 3000 })).fullStream),
};

const CLIENTS = { "openai (npm)": OPENAI, "@anthropic-ai/sdk (npm)": ANTHROPIC, "AI SDK (npm)": AI_SDK };
const FEATURES = ["stream", "usage", "tools", "schema", "counting", "embeddings", "overflow", "broken"];

// Waits until the Oracle answers, which may just have been killed.
async function ready() {
  for (let attempt = 0; attempt < 300; attempt++) {
    try {
      const answer = await fetch(URL_ + "/v1/chat/completions", {
        method: "POST", headers: { Authorization: "Bearer " + KEY }, body: JSON.stringify({ model: "oracle", messages: MESSAGES, max_tokens: 1 }),
      });
      await answer.text();
      if (answer.ok) return;
    } catch { /* not yet */ }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the Oracle does not come back");
}

async function cell(client, feature) {
  await ready();
  try {
    return { holds: true, said: (await client[feature]()).slice(0, 300) };
  } catch (error) {
    if (error instanceof Missing) return { reason: error.message };
    return { holds: false, said: `${error.name}: ${error.message}`.slice(0, 600) };
  }
}

const found = {};
for (const name of WANTED.length ? WANTED : Object.keys(CLIENTS)) {
  const client = CLIENTS[name], cells = {};
  for (const feature of FEATURES) cells[feature] = await cell(client, feature);
  found[name] = { version: JSON.parse(readFileSync(`node_modules/${client.package}/package.json`)).version, cells };
}
console.log(JSON.stringify(found, null, 1));
