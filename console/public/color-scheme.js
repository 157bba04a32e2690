// Sets light or dark before the first paint; a file of its own because the page allows no inline script.
(function () {
  var chosen = null;
  try {
    chosen = window.localStorage.getItem("fettle-color-scheme");
  } catch (error) {
    chosen = null;
  }
  var dark =
    chosen === "dark" || (chosen !== "light" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
