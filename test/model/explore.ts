/** A small explicit-state model checker: breadth first over everything that can happen, hence with shortest counterexamples. */
export interface Model<State> {
  readonly initial: State;
  /** Every step that some process can take from here, crashes too. */
  steps(state: State): Iterable<Step<State>>;
  /** Equal for states that cannot be told apart. */
  key(state: State): string;
  /** What is wrong with this state; undefined when nothing is. `final`: no process can take another step. */
  violation(state: State, final: boolean): string | undefined;
}

export interface Step<State> {
  readonly name: string;
  readonly state: State;
}

export interface Exploration {
  readonly states: number;
  readonly finalStates: number;
  /** The first violation met, and the steps that lead to it; the search ends there. */
  readonly counterexample: { readonly problem: string; readonly steps: readonly string[] } | undefined;
}

export function explore<State>(model: Model<State>): Exploration {
  const seen = new Set([model.key(model.initial)]);
  /** Where each state was reached from, and by which step: an index into the same arrays. */
  const parents = [-1];
  const names = [''];
  let frontier: { readonly state: State; readonly number: number }[] = [{ state: model.initial, number: 0 }];
  let finalStates = 0;

  const pathTo = (number: number): string[] => {
    const steps: string[] = [];
    for (let at = number; at > 0; at = parents[at]!) steps.unshift(names[at]!);
    return steps;
  };

  while (frontier.length > 0) {
    const next: typeof frontier = [];
    for (const { state, number } of frontier) {
      let final = true;
      for (const step of model.steps(state)) {
        final = false;
        const key = model.key(step.state);
        if (seen.has(key)) continue;
        seen.add(key);
        next.push({ state: step.state, number: parents.push(number) - 1 });
        names.push(step.name);
      }
      if (final) finalStates += 1;
      const problem = model.violation(state, final);
      if (problem !== undefined)
        return { states: seen.size, finalStates, counterexample: { problem, steps: pathTo(number) } };
    }
    frontier = next;
  }
  return { states: seen.size, finalStates, counterexample: undefined };
}
