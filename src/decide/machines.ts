import type { BatchState } from "../authorise/execution-context.ts";
import { parseRecipe, type Recipe } from "../registry/recipe.ts";
import { GUARDS, type GuardContext } from "./guards.ts";
import { compile, type StateMachine } from "./state-machine.ts";
import type { Definition } from "./world-data.ts";

export interface BatchPlace {
  readonly execution: string;
  readonly disposition: string;
}

/** The state machines and recipes that batches are bound to, compiled once each. */
export interface Machines {
  batch(batch: BatchState): StateMachine<{ execution: string; disposition: string }, GuardContext>;
  step(batch: BatchState): StateMachine<string, GuardContext>;
  recipe(definition: Definition): Recipe;
}

/** `find` gives a published definition by its name with revision, such as `step/governed@1`. A batch is judged only under the very definition it was created with. */
export function createMachines(find: (name: string) => Definition | undefined): Machines {
  const batches = new Map<string, StateMachine<{ execution: string; disposition: string }, GuardContext>>();
  const steps = new Map<string, StateMachine<string, GuardContext>>();
  const recipes = new Map<string, Recipe>();

  function pinned(name: string, hash: string): Definition {
    const definition = find(name);
    if (definition === undefined) throw new Error(`state machine ${name} is not registered`);
    if (definition.hash !== hash) throw new Error(`state machine ${name} is not the one that the batch is bound to`);
    return definition;
  }

  return {
    batch({ batchMachine, batchMachineHash }) {
      const known = batches.get(batchMachineHash);
      if (known !== undefined) return known;
      const compiled = compile<{ execution: string; disposition: string }, GuardContext>(pinned(batchMachine, batchMachineHash).content, GUARDS);
      batches.set(batchMachineHash, compiled);
      return compiled;
    },
    step({ stepMachine, stepMachineHash }) {
      const known = steps.get(stepMachineHash);
      if (known !== undefined) return known;
      const compiled = compile<string, GuardContext>(pinned(stepMachine, stepMachineHash).content, GUARDS);
      steps.set(stepMachineHash, compiled);
      return compiled;
    },
    recipe(definition) {
      const known = recipes.get(definition.hash);
      if (known !== undefined) return known;
      const recipe = parseRecipe(definition.content);
      recipes.set(definition.hash, recipe);
      return recipe;
    },
  };
}
