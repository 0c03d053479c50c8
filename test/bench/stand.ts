import { type Mosquitto, startMosquitto } from "../support/mosquitto.ts";
import type { TestDatabase } from "../support/postgres.ts";
import type { Mark, Subject } from "./capacity.ts";
import { startDatabase } from "./database.ts";
import { Load, whole } from "./load.ts";
import { type Sending, siteName } from "./plan.ts";
import { begun, orderBatches, type Running, registerPlant, startService } from "./service.ts";

// What every part that measures the service stands on: a database, a broker, the service in one process or several, the plant registered, and the load.

export interface StandOptions {
  readonly seed: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** The settings of each process; by default there is one, which serves every site. */
  readonly processes?: readonly Readonly<Record<string, string>>[];
  /** How many of them own shards; the others come after, and stand by. By default all own some. */
  readonly owners?: number;
  readonly nodeOptions?: readonly string[];
  readonly sending?: Partial<Sending>;
  /** The database counts what each statement costs. */
  readonly profiled?: boolean;
  /** A database that holds something already. */
  readonly database?: TestDatabase;
}

export class Stand implements Subject {
  readonly database: TestDatabase;
  readonly broker: Mosquitto;
  readonly load: Load;
  /** Events that were sent and not answered: there must be none. */
  unanswered = 0;
  readonly #sites: readonly string[];
  readonly #owners: number;
  readonly #start: () => Promise<readonly Running[]>;
  readonly #say: (text: string) => void;
  readonly #ordered = new Set<string>();
  #services: readonly Running[] = [];

  private constructor(
    rest: { readonly database: TestDatabase; readonly broker: Mosquitto; readonly load: Load },
    sites: number,
    owners: number,
    start: () => Promise<readonly Running[]>,
    say: (text: string) => void,
  ) {
    this.database = rest.database;
    this.broker = rest.broker;
    this.load = rest.load;
    this.#sites = Array.from({ length: sites }, (_, n) => siteName(n, sites));
    this.#owners = owners;
    this.#start = start;
    this.#say = say;
  }

  static async start(
    { seed, settings, processes = [{}], owners, nodeOptions, sending, profiled, ...given }: StandOptions,
    say: (text: string) => void,
  ): Promise<Stand> {
    const database = given.database ?? (await startDatabase(profiled));
    const broker = await startMosquitto();
    const all = { ...whole(seed), ...sending };
    const load = await Load.start(broker.port, all, "answers");
    const start = async (): Promise<readonly Running[]> => {
      const services: Running[] = [];
      // the first migrates
      for (const own of processes) services.push(await startService(database, broker, { PUBLISH_VERDICTS: "refusals", ...settings, ...own }, nodeOptions));
      return services;
    };
    const stand = new Stand({ database, broker, load }, all.sites, owners ?? processes.length, start, say);
    await stand.startService();
    await registerPlant(stand.#asked, all.sites);
    return stand;
  }

  async startService(): Promise<void> {
    this.#services = await this.#start();
  }

  /** What it has not acknowledged, and all that comes meanwhile, waits in its session at the broker. */
  async stopService(): Promise<void> {
    for (const service of this.#services) await service.stop();
    this.#services = [];
  }

  get services(): readonly Running[] {
    return this.#services;
  }

  /** Those that own shards, and so answer commands. */
  get #asked(): readonly Running[] {
    return this.#services.slice(0, this.#owners);
  }

  get pids(): readonly number[] {
    return this.#services.map(({ pid }) => pid);
  }

  others = () => ({ broker: this.broker.pid(), ...this.load.pids });

  async prepare(count: number): Promise<void> {
    const wanted = begun(await this.load.prepare(count)).filter(({ batch }) => !this.#ordered.has(batch));
    for (const { batch } of wanted) this.#ordered.add(batch);
    this.#say(`${wanted.length} batches are ordered`);
    await orderBatches(this.#asked, wanted, this.#sites.length);
  }

  async drained(): Promise<void> {
    const left = await this.load.drained();
    if (left.length > 0) this.#say(`${left.length} are not answered, the first is ${JSON.stringify(left[0])}`);
    this.unanswered += left.length;
  }

  async mark(): Promise<Mark> {
    const rows = await this.database.query("select site, position from sites");
    return Object.fromEntries(rows.map(({ site, position }) => [String(site), Number(position)]));
  }

  /** What was decided and committed; a second round of an event is no other event. */
  async between(from: Mark, to: Mark): Promise<number> {
    const counts = await Promise.all(
      this.#sites.map((site) =>
        this.database.query(
          `select count(*) from signals where site = '${site}' and kind = 'event' and position > ${from[site] ?? 0} and position <= ${to[site] ?? 0}`,
        ),
      ),
    );
    return counts.reduce((sum, [row]) => sum + Number(row?.["count"]), 0);
  }

  /** What became of the deliveries, by status and code; those of one source may be left out. */
  async verdicts(except = ""): Promise<Record<string, number>> {
    const rows = await this.database.query(
      `select status || coalesce(' ' || code, '') || case when round > 1 then ', later round' else '' end as what, count(*)
        from verdicts where source <> '${except}' group by 1 order by 2 desc`,
    );
    return Object.fromEntries(rows.map(({ what, count }) => [String(what), Number(count)]));
  }

  async end(): Promise<void> {
    await this.load.end();
    await this.stopService();
    await this.broker.remove();
    await this.database.drop();
  }
}
