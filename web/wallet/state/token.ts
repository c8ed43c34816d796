/** What a member's token says about itself. Read to greet and to compare; only the server judges. */
export interface Claims {
  /** `sub`: the member's id */
  user_id: string;
  /** milliseconds since 1970; undefined when it does not say */
  expires_at: number | undefined;
  name: string | undefined;
}

const JWT = /^[\w-]+\.([\w-]+)\.[\w-]+$/;
const TOKEN_LENGTH_MAX = 8000;

/** The claims of a JWT, unchecked; undefined for what is no token of a member. */
export function readToken(token: unknown): Claims | undefined {
  if (typeof token !== 'string' || token.length > TOKEN_LENGTH_MAX) return undefined;
  const [, body] = JWT.exec(token) ?? [];
  if (!body) return undefined;
  try {
    const bytes = Uint8Array.from(atob(body.replace(/-/g, '+').replace(/_/g, '/')), (c) =>
      c.charCodeAt(0),
    );
    const { sub, exp, name } = JSON.parse(new TextDecoder().decode(bytes)) as Record<
      string,
      unknown
    >;
    const user_id = String(sub ?? '');
    if (!/^\d{1,10}$/.test(user_id)) return undefined;
    return {
      user_id,
      expires_at: typeof exp === 'number' ? exp * 1000 : undefined,
      name: typeof name === 'string' && name.trim() ? name.trim().slice(0, 100) : undefined,
    };
  } catch {
    return undefined;
  }
}
