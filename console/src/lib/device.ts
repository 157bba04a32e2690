// What a browser calls itself, as people call it: "Firefox on Windows".

const BROWSERS: [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, "Edge"], [/\bOPR\//, "Opera"], [/\b(?:Firefox|FxiOS)\//, "Firefox"], [/\b(?:Headless)?Chrom(?:e|ium)\/|\bCriOS\//, "Chrome"],
  [/\bVersion\/.*Safari\//, "Safari"], [/^curl\//, "curl"], [/python|httpx/i, "Python"],
];
const SYSTEMS: [RegExp, string][] = [
  [/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS X|Macintosh/, "macOS"], [/CrOS/, "ChromeOS"], [/Linux/, "Linux"],
];

/** Null where the program says nothing that is known. */
export function deviceOf(agent: string | null): string | null {
  if (agent === null) return null;
  const browser = BROWSERS.find(([pattern]) => pattern.test(agent))?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  if (browser === undefined) return system ?? (agent.length > 60 ? null : agent);
  return system === undefined ? browser : `${browser} on ${system}`;
}
