export interface LogoProps {
  /** width and height in CSS pixels */
  size?: number;
  /** what it stands for, where no text beside it says so */
  label?: string;
}

/** The mark: a u whose two dots are sparks, ink on gold. Still reads at 16 px. */
export function Logo({ size = 32, label }: LogoProps) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 64 64"
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      <rect width="64" height="64" rx="16" fill="#ffc53d" />
      <g fill="#241a0e">
        <circle cx="24" cy="14.5" r="4.25" />
        <circle cx="40" cy="14.5" r="4.25" />
      </g>
      <path
        d="M18.5 26v12.5a13.5 13.5 0 0 0 27 0V26"
        fill="none"
        stroke="#241a0e"
        stroke-width="7.5"
        stroke-linecap="round"
      />
    </svg>
  );
}
