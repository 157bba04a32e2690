// What was written, in the order of its JSON Schema: the database that keeps it orders names by their length.
import type { Json, JsonObject } from "../api/types";
import { asObject, asText } from "./story";

/** Puts the members of objects in the order of the schema; what it does not know comes last, as it was. */
export function inSchemaOrder(value: Json, schema: JsonObject, root: JsonObject = schema): Json {
  const known = resolved(schema, root);
  if (Array.isArray(value)) {
    const items = asObject(known["items"] ?? null) ?? {};
    return value.map((one) => inSchemaOrder(one, items, root));
  }
  const given = asObject(value);
  if (given === null) return value;
  const properties = asObject(known["properties"] ?? null) ?? {};
  const names = Object.keys(properties).filter((name) => given[name] !== undefined);
  const rest = Object.keys(given).filter((name) => properties[name] === undefined);
  return Object.fromEntries([...names, ...rest].map((name) => [name, inSchemaOrder(given[name] ?? null, asObject(properties[name] ?? null) ?? {}, root)]));
}

/** A part of a schema with what it refers to. */
export function resolved(schema: JsonObject, root: JsonObject): JsonObject {
  const reference = asText(schema["$ref"] ?? null);
  if (reference === null) return schema;
  let found: Json = root;
  for (const word of reference.split("/").slice(1)) found = asObject(found)?.[word] ?? {};
  return { ...asObject(found), ...schema, $ref: null };
}
