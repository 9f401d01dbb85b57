// The tools that the user declares, as text: a JSON list of functions, each plain or wrapped as
// {"type": "function", "function": {…}}, or one of them alone.

// Throws an Error that says what is wrong.
export function parseToolList(text) {
  if (!text.trim()) return [];
  const value = JSON.parse(text);
  const list = Array.isArray(value) ? value : [value];
  return list.map((entry, index) => {
    const tool = entry?.function ?? entry;
    if (typeof tool?.name !== 'string' || !tool.name) {
      throw new Error(`tool ${index + 1} has no name`);
    }
    return tool;
  });
}

// What is wrong with a text that must be JSON, or '' if it is right. Empty text is right.
export function jsonProblem(text, parse = JSON.parse) {
  if (!text.trim()) return '';
  try {
    parse(text);
    return '';
  } catch (error) {
    return error.message;
  }
}

// The parsed text, or an Error that says in which setting it is wrong.
export function parseNamed(setting, text, parse) {
  const problem = jsonProblem(text, parse);
  if (problem) throw new Error(`${setting} in the settings: ${problem}`);
  return parse(text);
}

// The JSON text with line breaks, or the text as it is if it is no JSON.
export function prettyJson(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export const kToolExample = `[
  {
    "name": "read_sensor",
    "description": "Reads a sensor in a zone of the greenhouse.",
    "parameters": {
      "type": "object",
      "properties": {
        "zone": { "type": "string" },
        "quantity": {
          "type": "string",
          "enum": ["temperature", "humidity", "soil", "light"]
        }
      },
      "required": ["zone", "quantity"]
    }
  }
]
`;

export const kSchemaExample = `{
  "type": "object",
  "properties": {
    "zone": { "type": "string" },
    "temperature": { "type": "number" }
  },
  "required": ["zone", "temperature"],
  "additionalProperties": false
}
`;
