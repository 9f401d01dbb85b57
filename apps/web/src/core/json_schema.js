// Checks a value against the part of JSON Schema that people write by hand. It is the second look
// of the page at what the server promised; keywords it does not know are passed over.
//
//   problemOf(JSON.parse(text), schema)    → '' or "zone: must be a string"

const kTypes = {
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
};

export function problemOf(value, schema, root = schema, path = '') {
  if (schema === true || schema === undefined) return '';
  if (schema === false) return at(path, 'must not be there');
  if (schema.$ref) return problemOf(value, resolve(schema.$ref, root), root, path);
  return (
    typeProblem(value, schema, path) ||
    constantProblem(value, schema, path) ||
    boundsProblem(value, schema, path) ||
    unionProblem(value, schema, root, path) ||
    objectProblem(value, schema, root, path) ||
    arrayProblem(value, schema, root, path)
  );
}

function at(path, problem) {
  return `${path || 'the answer'} ${problem}`;
}

function resolve(reference, root) {
  if (!reference.startsWith('#')) return true;
  let schema = root;
  for (const step of reference.slice(1).split('/').filter(Boolean)) {
    schema = schema?.[decodeURIComponent(step).replace(/~1/g, '/').replace(/~0/g, '~')];
  }
  return schema ?? true;
}

function typeProblem(value, { type }, path) {
  if (type === undefined) return '';
  const types = Array.isArray(type) ? type : [type];
  return types.some((name) => kTypes[name]?.(value) ?? true)
    ? ''
    : at(path, `must be of type ${types.join(' or ')}`);
}

function constantProblem(value, schema, path) {
  const text = JSON.stringify(value);
  if (schema.const !== undefined && JSON.stringify(schema.const) !== text) {
    return at(path, `must be ${JSON.stringify(schema.const)}`);
  }
  if (schema.enum && !schema.enum.some((entry) => JSON.stringify(entry) === text)) {
    return at(
      path,
      `must be one of ${schema.enum.map((entry) => JSON.stringify(entry)).join(', ')}`,
    );
  }
  return '';
}

function boundsProblem(value, schema, path) {
  if (typeof value === 'number') {
    if (value < schema.minimum) return at(path, `must be at least ${schema.minimum}`);
    if (value > schema.maximum) return at(path, `must be at most ${schema.maximum}`);
    if (value <= schema.exclusiveMinimum)
      return at(path, `must be more than ${schema.exclusiveMinimum}`);
    if (value >= schema.exclusiveMaximum)
      return at(path, `must be less than ${schema.exclusiveMaximum}`);
  }
  if (typeof value === 'string') {
    const length = [...value].length;
    if (length < schema.minLength)
      return at(path, `must have ${schema.minLength} characters or more`);
    if (length > schema.maxLength)
      return at(path, `must have ${schema.maxLength} characters or fewer`);
    if (schema.pattern && !new RegExp(schema.pattern, 'u').test(value)) {
      return at(path, `must match ${schema.pattern}`);
    }
  }
  return '';
}

function unionProblem(value, schema, root, path) {
  for (const part of schema.allOf ?? []) {
    const problem = problemOf(value, part, root, path);
    if (problem) return problem;
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (!choices) return '';
  const problems = choices.map((part) => problemOf(value, part, root, path));
  return problems.includes('') ? '' : problems[0];
}

function objectProblem(value, schema, root, path) {
  if (!kTypes.object(value)) return '';
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name)) return at(path, `has no ${name}`);
  }
  for (const [name, entry] of Object.entries(value)) {
    const inner = path ? `${path}.${name}` : name;
    const declared = schema.properties && Object.hasOwn(schema.properties, name);
    const rule = declared
      ? schema.properties[name]
      : schema.patternProperties
        ? true
        : schema.additionalProperties;
    const problem = problemOf(entry, rule, root, inner);
    if (problem) return problem;
  }
  return '';
}

function arrayProblem(value, schema, root, path) {
  if (!Array.isArray(value)) return '';
  if (value.length < schema.minItems)
    return at(path, `must have ${schema.minItems} entries or more`);
  if (value.length > schema.maxItems)
    return at(path, `must have ${schema.maxItems} entries or fewer`);
  const prefix = schema.prefixItems ?? [];
  for (const [index, entry] of value.entries()) {
    const rule = index < prefix.length ? prefix[index] : schema.items;
    const problem = problemOf(entry, rule, root, `${path}[${index}]`);
    if (problem) return problem;
  }
  return '';
}
