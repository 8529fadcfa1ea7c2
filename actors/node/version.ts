/** Of the package; a test holds the two together. */
export const quorateVersion = '0.1.0'
