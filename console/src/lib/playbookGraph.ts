// Lays a playbook out as a graph: steps below each other, parallel steps beside each other, roll-backs at their step.
import type { Json, JsonObject } from "../api/types";
import { asList, asObject, asText } from "./story";

export type NodeKind = "start" | "tool" | "approve" | "playbook" | "verify" | "end";

export interface GraphNode {
  id: string;
  kind: NodeKind;
  title: string;
  /** What it calls. */
  detail: string;
  when: string | null;
  each: boolean;
  rollback: string | null;
  x: number;
  y: number;
}

export interface GraphEdge {
  from: string;
  to: string;
}

export interface PlaybookGraph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  width: number;
  height: number;
}

export const NODE_WIDTH = 200;
export const NODE_HEIGHT = 60;
const GAP_X = 28;
const GAP_Y = 38;

type Placed = Omit<GraphNode, "x" | "y">;
interface Block {
  width: number;
  rows: number;
  heads: string[];
  tails: string[];
  nodes: { node: Placed; column: number; row: number }[];
  edges: GraphEdge[];
}

export function playbookGraph(definition: JsonObject, words: { start: string; end: string; verify: string }): PlaybookGraph {
  const plain = (id: string, kind: NodeKind, title: string, detail = ""): Placed => ({
    id, kind, title, detail, when: null, each: false, rollback: null,
  });
  const verify = asObject(definition["verify"]);
  const whole = inSequence([
    single(plain("(start)", "start", words.start)),
    ...asList(definition["steps"]).map((step) => stepBlock(step)),
    ...(verify === null ? [] : [single(plain("(verify)", "verify", words.verify, asText(verify["tool"]) ?? ""))]),
    single(plain("(end)", "end", words.end)),
  ]);
  return {
    nodes: whole.nodes.map(({ node, column, row }) => ({
      ...node, x: column * (NODE_WIDTH + GAP_X), y: row * (NODE_HEIGHT + GAP_Y),
    })),
    edges: whole.edges,
    width: whole.width * (NODE_WIDTH + GAP_X) - GAP_X,
    height: whole.rows * (NODE_HEIGHT + GAP_Y) - GAP_Y,
  };
}

function stepBlock(given: Json): Block {
  const step = asObject(given) ?? {};
  const inner = asList(step["parallel"]);
  if (inner.length > 0) return sideBySide(inner.map((one) => stepBlock(one)));
  const id = asText(step["id"]) ?? "?";
  const kind: NodeKind = step["approve"] !== undefined ? "approve" : step["playbook"] !== undefined ? "playbook" : "tool";
  const approvers = asList(asObject(step["approve"])?.["by"]).map((role) => asText(role)).join(", ");
  const detail = kind === "approve" ? approvers : (asText(step["tool"]) ?? asText(step["playbook"]) ?? "");
  return single({
    id, kind, detail,
    title: asText(step["title"]) ?? id,
    when: asText(step["when"]),
    each: step["for_each"] !== undefined,
    rollback: asText(asObject(step["rollback"])?.["tool"]),
  });
}

function single(node: Placed): Block {
  return { width: 1, rows: 1, heads: [node.id], tails: [node.id], nodes: [{ node, column: 0, row: 0 }], edges: [] };
}

function inSequence(blocks: Block[]): Block {
  const width = Math.max(...blocks.map((block) => block.width));
  const joined: Block = { width, rows: 0, heads: blocks[0]?.heads ?? [], tails: [], nodes: [], edges: [] };
  for (const block of blocks) {
    const shift = (width - block.width) / 2;
    for (const tail of joined.tails) for (const head of block.heads) joined.edges.push({ from: tail, to: head });
    joined.nodes.push(...block.nodes.map((one) => ({ ...one, column: one.column + shift, row: one.row + joined.rows })));
    joined.edges.push(...block.edges);
    joined.rows += block.rows;
    joined.tails = block.tails;
  }
  return joined;
}

function sideBySide(blocks: Block[]): Block {
  const joined: Block = { width: 0, rows: Math.max(...blocks.map((block) => block.rows)), heads: [], tails: [], nodes: [], edges: [] };
  for (const block of blocks) {
    joined.nodes.push(...block.nodes.map((one) => ({ ...one, column: one.column + joined.width })));
    joined.edges.push(...block.edges);
    joined.heads.push(...block.heads);
    joined.tails.push(...block.tails);
    joined.width += block.width;
  }
  return joined;
}
