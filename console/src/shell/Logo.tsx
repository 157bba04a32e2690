// The mark and the name.
export function Logo() {
  return (
    <span className="fettle-logo">
      <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" focusable="false">
        <rect width="32" height="32" rx="8" fill="#0b6e69" />
        <path d="M6 17h5l3-7 5 13 3-6h4" fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" strokeLinejoin="round" />
      </svg>
      Fettle
    </span>
  );
}
