// The style sheet's colours, for canvases and charts.

export function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { ink: of("ink"), dim: of("dim"), rule: of("rule"), soft: of("soft"), panel: of("panel"), up: of("up"), down: of("down"), accent: of("accent") };
}

export function onTheme(change) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);
}
