/** A COMMIT that the server answered with ROLLBACK: a statement of the transaction had failed, and nothing of it is stored. */
export class RolledBack extends Error {
  constructor() {
    super("the transaction was rolled back although it was to be committed");
  }
}
