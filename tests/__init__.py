# PayPal's SDK installs a package of this name, which would hide this one if this were none.
