// Starts the console: theme, data cache, router, and the session that a cookie may still hold.
import "@fontsource-variable/inter/wght.css";
import "@mantine/core/styles.layer.css";
import "@mantine/notifications/styles.layer.css";
import "./global.css";

import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { shouldRetry } from "./api/queries";
import { session } from "./api/session";
import { StepUp } from "./lib/stepUp";
import { createConsoleRouter } from "./router";
import { SessionGate } from "./shell/SessionGate";
import { cssVariables, theme } from "./theme";

const client = new QueryClient({ defaultOptions: { queries: { retry: shouldRetry, staleTime: 5_000 } } });
const colorSchemeManager = localStorageColorSchemeManager({ key: "fettle-color-scheme" });
const router = createConsoleRouter();

// What one person read must not be there for the next.
session.subscribe(() => {
  if (session.state() === "signed-out") client.clear();
});
void session.start();

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      colorSchemeManager={colorSchemeManager}
      defaultColorScheme="auto"
    >
      <QueryClientProvider client={client}>
        <Notifications position="bottom-right" limit={4} />
        <SessionGate>
          <StepUp><RouterProvider router={router} /></StepUp>
        </SessionGate>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
