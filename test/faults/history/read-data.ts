type Data = Readonly<Record<string, unknown>>;

// What messages and answers say is not believed to have a shape: a member that is not what it should be reads as null.

export const textIn = (data: Data, key: string): string | null => {
  const value = data[key];
  return typeof value === "string" ? value : null;
};

export const numberIn = (data: Data, key: string): number | null => {
  const value = data[key];
  return typeof value === "number" ? value : null;
};

export const objectIn = (data: Data, key: string): Data | null => {
  const value = data[key];
  return isData(value) ? value : null;
};

export const objectsIn = (data: Data, key: string): readonly Data[] => {
  const value = data[key];
  return Array.isArray(value) ? value.filter(isData) : [];
};

export const textsIn = (data: Data, key: string): readonly string[] => {
  const value = data[key];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
};

const isData = (value: unknown): value is Data => typeof value === "object" && value !== null && !Array.isArray(value);
