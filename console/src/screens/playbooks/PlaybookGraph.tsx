// A playbook drawn as a graph, and said as a list to whoever does not see it.
import { useMemo } from "react";
import type { JsonObject } from "../../api/types";
import { NODE_HEIGHT, NODE_WIDTH, playbookGraph, type GraphNode } from "../../lib/playbookGraph";
import { t } from "../../texts";
import classes from "../../ui/authoring.module.css";

const FITS = 27;
const SMALL_FITS = 32;

export function PlaybookGraph({ definition }: { definition: JsonObject }) {
  const graph = useMemo(
    () => playbookGraph(definition, { start: t.playbooks.start, end: t.playbooks.end, verify: t.playbooks.verify }),
    [definition],
  );
  const places = new Map(graph.nodes.map((node) => [node.id, node]));
  return (
    <figure style={{ margin: 0 }}>
      <div className={classes["graph"]} tabIndex={0} role="group" aria-label={t.playbooks.graph}>
        <svg width={graph.width + 4} height={graph.height + 4} viewBox={`-2 -2 ${graph.width + 4} ${graph.height + 4}`} role="img" aria-label={spoken(graph.nodes)}>
          {graph.edges.map((edge) => {
            const from = places.get(edge.from);
            const to = places.get(edge.to);
            return from === undefined || to === undefined ? null : <path key={`${edge.from} ${edge.to}`} className={classes["edge"]} d={curve(from, to)} />;
          })}
          {graph.nodes.map((node) => <Node key={node.id} node={node} />)}
        </svg>
      </div>
      <figcaption className={classes["soft"]}>{t.playbooks.graphKey}</figcaption>
    </figure>
  );
}

function Node({ node }: { node: GraphNode }) {
  const plain = node.kind === "start" || node.kind === "end";
  const note = [
    node.each ? t.playbooks.each : "",
    node.when === null ? "" : `${t.playbooks.when} ${node.when}`,
    node.rollback === null ? "" : t.playbooks.rollback(node.rollback),
  ].filter((one) => one !== "").join(" · ");
  const middle = NODE_WIDTH / 2;
  return (
    <g className={classes["node"]} data-kind={node.kind} transform={`translate(${node.x} ${node.y})`}>
      <title>{[node.title, node.detail, note].filter((one) => one !== "").join(" – ")}</title>
      <rect width={NODE_WIDTH} height={NODE_HEIGHT} rx={plain ? NODE_HEIGHT / 2 : 8} />
      <text x={middle} y={plain ? 35 : note === "" ? 27 : 20} textAnchor="middle">{cut(node.title, FITS)}</text>
      {node.detail !== "" && <text data-soft x={middle} y={note === "" ? 44 : 36} textAnchor="middle">{cut(node.detail, SMALL_FITS)}</text>}
      {note !== "" && <text data-soft x={middle} y={51} textAnchor="middle">{cut(note, SMALL_FITS)}</text>}
    </g>
  );
}

function curve(from: GraphNode, to: GraphNode): string {
  const [x1, y1] = [from.x + NODE_WIDTH / 2, from.y + NODE_HEIGHT];
  const [x2, y2] = [to.x + NODE_WIDTH / 2, to.y];
  const half = (y1 + y2) / 2;
  return `M${x1} ${y1}C${x1} ${half} ${x2} ${half} ${x2} ${y2}`;
}

function spoken(nodes: GraphNode[]): string {
  return nodes.map((node) => [node.title, node.detail].filter((one) => one !== "").join(", ")).join("; ");
}

function cut(text: string, fits: number): string {
  return text.length <= fits ? text : `${text.slice(0, fits - 1)}…`;
}
