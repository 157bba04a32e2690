// The list of keyboard shortcuts, behind "?".
import { Kbd, Modal } from "@mantine/core";
import { Fragment } from "react";
import { t } from "../texts";
import { PAGES } from "./pages";
import classes from "./Shell.module.css";

export function KeyboardHelp({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const [everywhere, ...others] = t.keyboard.groups;
  const groups = everywhere === undefined ? [] : [{ ...everywhere, keys: [...everywhere.keys, ...PAGES.map((page) => [page.keys, page.label] as const)] }, ...others, t.workKeys];
  return (
    <Modal opened={opened} onClose={onClose} title={t.keyboard.title} closeButtonProps={{ "aria-label": t.common.close }}>
      {groups.map((group) => (
        <section key={group.name}>
          <h3 className={classes["group"]}>{group.name}</h3>
          <table className={classes["keys"]}>
            <tbody>
              {group.keys.map(([keys, what]) => (
                <tr key={keys}>
                  <th scope="row">
                    {keys.split(" ").map((key, index) => (
                      <Fragment key={key}>{index > 0 && " "}<Kbd>{key}</Kbd></Fragment>
                    ))}
                  </th>
                  <td>{what}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ))}
    </Modal>
  );
}
