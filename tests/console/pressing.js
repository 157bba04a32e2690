// Put into a page by the tests: presses everything that a screen offers, and notes what the platform refuses.
(() => {
  const send = window.fetch;
  const state = { at: "", pressed: new Set(), refused: [], underWay: 0 };

  window.fetch = async (...given) => {
    const { at } = state;
    const ends = !String(given[0]).includes("/events/stream");
    if (ends) state.underWay += 1;
    try {
      const answer = await send(...given);
      if (answer.status === 403) state.refused.push(`${at}: ${given[1]?.method ?? "GET"} ${given[0]}`);
      return answer;
    } finally {
      if (ends) state.underWay -= 1;
    }
  };

  const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

  const shown = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility() && !one.disabled);

  const fill = async (selector) => {
    for (const field of shown(selector).filter(({ value }) => value === "")) {
      Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, "x");
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    await drawn();
  };

  // What differs only by a number or an id is the same thing in another row.
  const press = async (thing, place) => {
    const name = `${place} ${thing.getAttribute("aria-label") ?? thing.innerText}`.replace(/[0-9a-f-]{6,}|\d+/g, "#");
    if (!thing.isConnected || state.pressed.has(name)) return false;
    state.pressed.add(name);
    state.at = name;
    thing.click();
    await drawn();
    return true;
  };

  const close = async () => {
    for (const target of [document.activeElement, document.body]) {
      target?.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", code: "Escape", bubbles: true }));
    }
    await drawn();
  };

  /** Presses everything once, and everything in what then opens; says whether the screen is still the same. */
  const pressEverything = async (address) => {
    await fill("main textarea");
    for (let more = true; more; ) {
      more = false;
      for (const thing of shown("main button, main [role=switch], main summary")) {
        if (!(await press(thing, address))) continue;
        more = true;
        await fill("[role=dialog] :is(input:not([type]), input[type=text], textarea)");
        for (const inner of shown("[role=dialog] button, [role=menuitem]")) await press(inner, `${address}, opened:`);
        await close();
        if (location.pathname !== address) return false;
      }
    }
    return true;
  };

  window.pressing = { state, pressEverything };
})();
