// How the console is built: static files in dist/, nothing inlined into the page, no other host.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const platform = process.env["FETTLE_DEV_PLATFORM"] ?? "http://127.0.0.1:8321";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // The policy of the pages allows no inline script and no data: script, so nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
  // The platform lets in pages of its own address alone, so it is told the one that the browser sees.
  server: { proxy: { "/api": { target: platform, changeOrigin: false } } },
});
