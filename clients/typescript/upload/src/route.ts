/** The route of the parts: straight to storage, or through the service where storage cannot be reached. */

import type { Runtime } from "./runtime.js";

export type RouteName = "direct" | "service";

/** How often in a row a part must fail to reach storage: a single failure may be transient. */
const TRIES = 2;
/** How long parts go through the service before the next one tries storage again. */
const SERVICE_MS = 60_000;

export class Route {
  readonly #runtime: Runtime;
  readonly #onChange: (route: RouteName) => void;
  /** Whether the service takes parts; the policy of the Upload may forbid it. */
  #offered: boolean;
  #serviceUntil = -Infinity;
  #last: RouteName = "direct";

  constructor(runtime: Runtime, mayUseService: boolean, onChange: (route: RouteName) => void) {
    this.#runtime = runtime;
    this.#offered = mayUseService;
    this.#onChange = onChange;
  }

  /** Return the route of the next part. */
  choose(): RouteName {
    const route = this.#runtime.now() < this.#serviceUntil ? "service" : "direct";
    if (route !== this.#last) this.#onChange(route);
    this.#last = route;
    return route;
  }

  /** Return whether to ask if the gateway answers: then storage, and not the network, is away. */
  shouldProbe(failuresInARow: number): boolean {
    return this.#offered && this.#last === "direct" && failuresInARow >= TRIES;
  }

  /** Send the next parts through the service. */
  useService(): void {
    this.#serviceUntil = this.#runtime.now() + SERVICE_MS;
  }

  /** Record that the service takes no parts of this Upload. */
  serviceRefused(): void {
    this.#offered = false;
    this.#serviceUntil = -Infinity;
  }
}
