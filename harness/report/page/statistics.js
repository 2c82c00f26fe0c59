// The statistics of harness/stats, for any pair of rows. tests/unit/report/test_page_in_browser.py holds both together.
"use strict";
const Statistics = (() => {
  const MARGIN = 0.02, MOST_PERCENT = 1000;
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const mean = (values) => sum(values) / values.length;
  const variance = (values) => {
    const middle = mean(values);
    return sum(values.map((v) => (v - middle) ** 2)) / (values.length - 1);
  };
  const median = (values) => {
    const ordered = [...values].sort((a, b) => a - b), half = ordered.length >> 1;
    return ordered.length % 2 ? ordered[half] : (ordered[half - 1] + ordered[half]) / 2;
  };

  // Lanczos' approximation, g = 7: relative error below 1e-14 for positive arguments.
  const LANCZOS = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
    -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
  function logGamma(x) {
    if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
    let total = LANCZOS[0];
    for (let i = 1; i < LANCZOS.length; i += 1) total += LANCZOS[i] / (x - 1 + i);
    const t = x + 6.5;
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(total);
  }

  function betaFraction(a, b, x) {
    const tiny = 1e-300, guard = (v) => (Math.abs(v) > tiny ? v : tiny);
    let c = 1, d = 1 / guard(1 - ((a + b) * x) / (a + 1)), result = d;
    for (let m = 1; m < 400; m += 1) {
      const numerators = [
        (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
        (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
      ];
      for (const numerator of numerators) {
        d = 1 / guard(1 + numerator * d);
        c = guard(1 + numerator / c);
        result *= d * c;
      }
      if (Math.abs(d * c - 1) < 1e-15) break;
    }
    return result;
  }

  function incompleteBeta(a, b, x) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return (front * betaFraction(a, b, x)) / a;
    return 1 - (front * betaFraction(b, a, 1 - x)) / b;
  }

  const twoSidedP = (t, degrees) => incompleteBeta(degrees / 2, 0.5, degrees / (degrees + t * t));

  function quantile(confidence, degrees) {
    let low = 0, high = 1;
    while (twoSidedP(high, degrees) > 1 - confidence) high *= 2;
    for (let i = 0; i < 200; i += 1) {
      const middle = (low + high) / 2;
      if (twoSidedP(middle, degrees) > 1 - confidence) low = middle;
      else high = middle;
    }
    return high;
  }

  function verdict(low, high, halfWidth) {
    if (low > 1 / (1 + MARGIN) && high < 1 + MARGIN) return "equivalent";
    if (low > 1) return "faster";
    if (high < 1) return "slower";
    return halfWidth <= Math.log1p(MARGIN) ? "no difference shown" : "inconclusive";
  }

  function comparison(logRatio, standardError, degrees, rounds, paired, confidence) {
    const half = quantile(confidence, degrees) * standardError;
    const low = Math.exp(logRatio - half), high = Math.exp(logRatio + half);
    let p = twoSidedP(logRatio / standardError, degrees);
    if (standardError === 0) p = logRatio === 0 ? 1 : 0;
    return { ratio: Math.exp(logRatio), low, high, p, degrees, rounds, paired, verdict: verdict(low, high, half) };
  }

  // Speed of the second over the first; both in ns a token, by pairs of the same round. null below two pairs.
  function paired(first, second, confidence = 0.95) {
    const ratios = first.map((value, i) => Math.log(value) - Math.log(second[i]));
    if (ratios.length < 2) return null;
    const error = Math.sqrt(variance(ratios)) / Math.sqrt(ratios.length);
    return comparison(mean(ratios), error, ratios.length - 1, ratios.length, true, confidence);
  }

  // The same of values that were measured apart, by Welch's t on their logarithms.
  function welch(first, second, confidence = 0.95) {
    if (Math.min(first.length, second.length) < 2) return null;
    const [a, b] = [first.map(Math.log), second.map(Math.log)];
    const parts = [variance(a) / a.length, variance(b) / b.length], total = parts[0] + parts[1];
    const weights = parts[0] ** 2 / (a.length - 1) + parts[1] ** 2 / (b.length - 1);
    const degrees = weights ? total ** 2 / weights : a.length + b.length - 2;
    return comparison(mean(a) - mean(b), Math.sqrt(total), degrees, Math.min(a.length, b.length), false, confidence);
  }

  const counted = (samples) => (samples.length > 1 ? samples.slice(1) : samples);
  const runValue = (samples, tokens) => median(counted(samples)) / tokens;

  function inWords(found) {
    const [low, middle, high] = [found.low, found.ratio, found.high].map((v) => 100 * (v - 1));
    // Nothing that no measurement knows: of two rounds an interval may reach to numbers of forty digits.
    const capped = (v, places, mark = "") => (v > MOST_PERCENT ? `over ${mark}${MOST_PERCENT}` : (v >= 0 ? mark : "") + v.toFixed(places));
    const fixed = (v) => capped(v, 1), signed = (v) => capped(v, 1, "+");
    if (found.verdict === "faster" && found.ratio >= 2) return `${found.ratio.toFixed(2)} times as fast (${found.low.toFixed(2)} to ${capped(found.high, 2)})`;
    if (found.verdict === "faster") return `faster by ${fixed(middle)} % (${fixed(low)} to ${fixed(high)})`;
    if (found.verdict === "slower") return `slower by ${fixed(-middle)} % (${fixed(-high)} to ${fixed(-low)})`;
    return `${found.verdict} (${signed(low)} to ${signed(high)} %)`;
  }

  return { median, quantile, twoSidedP, paired, welch, runValue, inWords };
})();
