export declare const nodeEnvironment: Readonly<Record<string, string>>
