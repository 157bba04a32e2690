// Which rows of a long list are near what is seen, where every row has the same height: one division, however long the list is.
import { useCallback, useLayoutEffect, useRef, useState, type RefObject } from "react";

export interface Stretch {
  first: number;
  /** One past the last. */
  end: number;
}

/** The rows that are seen, and some before and after them. */
export function stretchOf(offsetPx: number, heightPx: number, rowPx: number, count: number, spare: number): Stretch {
  const first = Math.max(0, Math.min(Math.floor(offsetPx / rowPx), count) - spare);
  const end = Math.min(count, Math.ceil((offsetPx + heightPx) / rowPx) + spare);
  return { first, end: Math.max(first, end) };
}

/** How far to scroll so that a row is seen; where it is seen already, not at all. */
export function offsetFor(index: number, offsetPx: number, heightPx: number, rowPx: number): number {
  const top = index * rowPx;
  if (top < offsetPx) return top;
  return top + rowPx > offsetPx + heightPx ? top + rowPx - heightPx : offsetPx;
}

interface FixedRows extends Stretch {
  heightPx: number;
  /** Whether somebody has gone down the list. */
  scrolled: boolean;
  onScroll: () => void;
  scrollToRow: (index: number) => void;
  scrollToTop: () => void;
}

export function useFixedRows(scroller: RefObject<HTMLElement | null>, count: number, rowPx: number, initialOffset: number, spare = 12): FixedRows {
  const [view, setView] = useState({ offset: initialOffset, height: 900 });
  const restored = useRef(false);
  const look = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    setView((before) => {
      // A new place only after half of the spare rows went by: most scroll events then render nothing.
      const moved = Math.abs(before.offset - element.scrollTop) >= (rowPx * spare) / 2;
      if (!moved && before.height === element.clientHeight) return before;
      return { offset: element.scrollTop, height: element.clientHeight };
    });
  }, [scroller, rowPx, spare]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return undefined;
    if (!restored.current && count > 0) {
      restored.current = true;
      element.scrollTop = initialOffset;
    }
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [scroller, look, count > 0, initialOffset]);
  const scrollToRow = useCallback(
    (index: number) => {
      const element = scroller.current;
      if (element === null) return;
      element.scrollTop = offsetFor(index, element.scrollTop, element.clientHeight, rowPx);
      look();
    },
    [scroller, rowPx, look],
  );
  const scrollToTop = useCallback(() => {
    if (scroller.current !== null) scroller.current.scrollTop = 0;
    look();
  }, [scroller, look]);
  return { ...stretchOf(view.offset, view.height, rowPx, count, spare), heightPx: count * rowPx, scrolled: view.offset > 0, onScroll: look, scrollToRow, scrollToTop };
}
