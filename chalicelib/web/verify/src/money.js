// Decimal strings to minor units; never floats. The exponents are ISO 4217's, as in chalicelib/domain/money.py.

const EXPONENTS = {};
for (const code of 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'.split(' ')) EXPONENTS[code] = 0;
for (const code of 'BHD IQD JOD KWD LYD OMR TND'.split(' ')) EXPONENTS[code] = 3;
for (const code of 'CLF UYW'.split(' ')) EXPONENTS[code] = 4;

export const exponent = (currency) => EXPONENTS[currency] ?? 2;

export const minorUnits = (text, currency) => {
  const match = /^(\d{1,13})(?:\.(\d{1,4}))?$/.exec(text);
  const digits = exponent(currency);
  if (!match || (match[2] ?? '').length > digits) throw new Error(`${text} is no amount of ${currency}`);
  return BigInt(match[1] + (match[2] ?? '').padEnd(digits, '0'));
};
