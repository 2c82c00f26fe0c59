"""The values that flow through the house: frozen, slotted, keyword-only; no behaviour beyond properties."""
