import type { Machine } from '../surroundings/machine.ts';

export type LayoutName = 'debian' | 'venv' | 'compose' | 'ansible' | 'helm';

/** How `database.via` of lifeboat.yaml names the way to a database that this machine does not reach directly. */
export type DatabaseVia =
  { readonly docker: string } | { readonly kubectl: { readonly pod: string; readonly namespace?: string } };

/** A homeserver as one of the usual ways of installing it leaves it on a machine. All paths are of that machine. */
export interface FoundLayout {
  readonly layout: LayoutName;
  readonly title: string;
  /** What gave it away. */
  readonly because: string;
  /** In the order of its -c flags; a directory stands for the files in it. */
  readonly configFiles: readonly string[];
  readonly program?: string;
  /** Of a homeserver in a container: path in there -> path on the machine. */
  readonly paths?: Readonly<Record<string, string>>;
  readonly container?: string;
  readonly databaseVia?: DatabaseVia;
  /** Patterns of further files, each of which matches something now. */
  readonly extra?: readonly string[];
  /** What an administrator still has to do. */
  readonly notes?: readonly string[];
}

/** Looks, and changes nothing. `directory`: where lifeboat was called, for layouts that have no fixed place. */
export type Detector = (machine: Machine, directory: string) => Promise<FoundLayout[]>;
